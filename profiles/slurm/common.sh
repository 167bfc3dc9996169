# What the commands in bin have in common; each reads it first.

# The real command is the next of this name in PATH. Jobs, which inherit that, need no stand-ins.
real_command_first() {
    IFS=:
    rest=
    for folder in $PATH; do
        [ "$folder/${0##*/}" -ef "$0" ] || rest=$rest:$folder
    done
    unset IFS
    PATH=${rest#:}
}

# option NAME ARGUMENT…: what follows NAME among the arguments, or nothing.
option() {
    wanted=$1 value= previous=
    shift
    for argument; do
        [ "$previous" != "$wanted" ] || value=$argument
        previous=$argument
    done
    printf %s "$value"
}
