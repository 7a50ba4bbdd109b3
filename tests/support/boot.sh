#!/bin/sh
# Boots systemd as the first process of namespaces of its own:
#
#     unshare --mount --pid --fork --cgroup --net --ipc --uts boot.sh ROOT FOLDER
#
# It sees ROOT, which stays as it is: what is written goes to a file system in memory, mounted at FOLDER. Its
# network is loopback alone. "booted" is said when it has come up.
set -eu
lower=$1
folder=$2
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
root=$folder/root
mount -t overlay -o "lowerdir=$lower,upperdir=$folder/upper,workdir=$folder/work" overlay "$root"
mkdir -p "$root/sys" "$root/old"
mount -t proc proc "$root/proc"
# Whatever it would set there is the whole machine's.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
echo 6a61636b6669656c6400000000000001 >"$root/etc/machine-id"
ip link set lo up
cd "$root"
pivot_root . old
umount -l old
export container=test
(
    until systemctl is-active --quiet basic.target 2>/dev/null; do sleep 0.1; done
    echo booted
) &
exec /usr/lib/systemd/systemd --unit=basic.target
