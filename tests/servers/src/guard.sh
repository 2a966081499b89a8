# Owns the life of one server: starts it, waits for the end of standard input (the parent closed it or died), stops it, cleans up.
# Must not know which server it is. Arguments: folder to remove, second folder to remove, log file, command...
# Words on standard input: "keep" leaves the folders, "quit" makes the server stop at once instead of in good order.
dir=$1 second=$2 log=$3
shift 3
signal=INT keep=no
"$@" </dev/null >>"$log" 2>&1 &
server=$!
echo "$server"
while read -r word; do
    case $word in
        keep) keep=yes ;;
        quit) signal=QUIT ;;
    esac
done
kill -"$signal" "$server" 2>/dev/null
# 50 polls a second, ten seconds.
n=0
while [ "$n" -lt 500 ] && kill -0 "$server" 2>/dev/null; do
    sleep 0.02
    n=$((n + 1))
done
kill -KILL "$server" 2>/dev/null
wait "$server"
[ "$keep" = yes ] || rm -rf -- "$dir" "$second"
