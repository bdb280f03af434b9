"""`unblur reproduce` as a file, which `ray job submit` wants."""

from unblur.cli import main

if __name__ == "__main__":
    main("reproduce")
