# A move as redis's client sees it: gnuplot -e "data='…'; out='…'; mode='…'; down=…; frozen=…; thawed=…" move.gnuplot, times in ms since the move began.
set terminal svg size 900,440 dynamic font "sans-serif,12" background "#ffffff"
set output out
set multiplot title sprintf("redis, kept busy by SETs of 1 KiB over one connection, moves (%s): it stands still for %.0f ms", mode, down)
set grid ytics lc rgb "#e4e4e4"
set border 2 lc rgb "#888888"
set tics nomirror
set xrange [-1000:1800]
set lmargin 11
set rmargin 3
unset key
set object 1 rectangle from first 0, graph 0 to first frozen, graph 1 fc rgb "#e8f0f8" fs solid noborder behind
set object 2 rectangle from first frozen, graph 0 to first thawed, graph 1 fc rgb "#f2c9c2" fs solid noborder behind

set size 1,0.48
set origin 0,0.46
set format x ""
set format y "%.0s%c"
set ylabel "answers / s"
set yrange [0:*]
set label 1 "memory is copied" at first 0, graph 1.06 left tc rgb "#4a6f94" font ",10"
plot data using 1:2 with lines lw 1.2 lc rgb "#1f6fb4"
unset label 1

set size 1,0.48
set origin 0,0
set format x "%g"
set format y "%g"
set ylabel "longest wait, ms"
set xlabel "ms since the move began"
set logscale y
set yrange [0.03:*]
plot data using 1:($3 > 0 ? $3 : 1/0) with points pt 7 ps 0.3 lc rgb "#c0392b"
unset multiplot
