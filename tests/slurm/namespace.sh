#!/bin/bash
# The first process of a private Slurm's namespaces: prepares them, and waits for the end of its input, which is the end of
# whoever started it. With it goes everything in its process namespace, so nothing is ever left behind.
# Called by cluster.py as: unshare … namespace.sh FOLDER, where FOLDER holds etc/slurm.conf and etc/gres.conf.
set -eu
folder=$1
export PATH=$PATH:/usr/sbin:/sbin

# The controller is on a loopback of its own, so any number of these may use the same ports. A second address, as Slurm
# refuses to listen on 127.0.0.1 alone.
ip link set lo up
ip addr add 10.255.255.1/32 dev lo

# Where Debian's commands look, without a variable that a job or a plugin might drop.
mount --bind "$folder/etc" /etc/slurm
# What the daemons keep is in a /run of their own: paths of sockets have to be short.
mount -t tmpfs tmpfs /run
mkdir -p /run/munge /run/state /run/spool/n1 /run/spool/n2
mkdir -m 700 /run/key
head -c 1024 /dev/urandom >/run/key/munge.key
chmod 400 /run/key/munge.key
munged --key-file=/run/key/munge.key --seed-file=/run/key/seed --log-file="$folder/log/munged.txt" --num-threads=2

echo ready
# Not `cat`: bash takes in the processes that lose their parents, meanwhile.
while read -r _; do :; done
