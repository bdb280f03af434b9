#!/bin/sh
# From a file of your own to recommendations: sh own_data.sh plays.csv (columns listener, track, played_at)
set -e

# what the file is and holds; plays.yaml, beside us, says so to every further command
name="$(basename "$1" .csv)"
unblur data "$1" --user-column listener --item-column track --time-column played_at --out "$name.yaml"

# three models at equal budget; popularity is always beside them
unblur tune --dataset "$name.yaml" --model ease,slist,item_knn --trials 5 --seeds 2

# which differences are significant
unblur report --dataset "$name.yaml" --output report.html --markdown report.md

# the best unseen items of everyone, from the registered champion
unblur recommend --dataset "$name.yaml" --k 10 --output recommendations.csv
