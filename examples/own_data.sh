#!/bin/sh
# From a file of your own to recommendations: sh own_data.sh plays.csv (columns listener, track, played_at)
set -e
columns="--user-column listener --item-column track --time-column played_at"

# what the file holds, how it is divided, and what each step removed
unblur prepare --dataset "$1" $columns

# three models at equal budget; popularity is always beside them
unblur tune --dataset "$1" $columns --model ease,slist,item_knn --trials 5 --seeds 2

# which differences are significant
unblur report --dataset "$(basename "$1" .csv)" --output report.html --markdown report.md

# the best unseen items of everyone, from the registered champion
unblur recommend --dataset "$1" $columns --k 10 --output recommendations.csv
