# A move as redis's client sees it: gnuplot -e "data='…'; out='…'; mode='…'; down=…" move.gnuplot
set terminal svg size 900,420 dynamic font "sans-serif,12" background "#ffffff"
set output out
set multiplot layout 2,1 title sprintf("redis under load moves (%s): %.1f ms of downtime", mode, down)
set grid ytics lc rgb "#dddddd"
set border 3 lc rgb "#888888"
set tics nomirror
set xrange [-1000:3000]
set arrow from first 0, graph 0 to first 0, graph 1 nohead dt 2 lc rgb "#888888"
unset key
set lmargin 10
set ylabel "SET / s"
set yrange [0:*]
plot data using 1:2 with lines lw 1.5 lc rgb "#1f6fb4"
set ylabel "longest, ms"
set xlabel "ms since the move began"
set logscale y
set yrange [0.01:*]
plot data using 1:($3 > 0 ? $3 : 1/0) with points pt 7 ps 0.3 lc rgb "#c0392b"
unset multiplot
