"""From runs to tables and a verdict."""
