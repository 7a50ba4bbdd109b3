#!/bin/sh
# Unpacks packages of a Debian suite, with all that they depend on, into a folder of their own:
#
#     unpack.sh SUITE FOLDER PACKAGE...
#
# Nothing of the machine changes, and no script of a package runs: servers of mail conflict with each other
# as packages, and not as files. A server is then started with FOLDER/root as its root.
set -eu
suite=$1
folder=$(realpath -m "$2")
shift 2
sources=/etc/apt/sources.list.d/debian.sources
[ -f "$sources" ] || { echo "this is no Debian of 12 or later: there is no $sources" >&2; exit 1; }
rm -rf "$folder"
mkdir -p "$folder"/apt/sources "$folder"/apt/preferences "$folder"/apt/lists/partial \
    "$folder"/apt/archives/partial "$folder"/root
# No package is there yet, so that all are fetched, libc too.
: >"$folder/apt/status"
# The machine's own source, for this suite.
sed -E "s/^Suites:.*/Suites: $suite/" "$sources" |
    awk 'BEGIN { RS = ""; ORS = "\n\n" } !/debian-security/' >"$folder/apt/sources/debian.sources"
cat >"$folder/apt/apt.conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$folder/apt/sources";
Dir::Etc::preferencesparts "$folder/apt/preferences";
Dir::State::lists "$folder/apt/lists";
Dir::State::status "$folder/apt/status";
Dir::Cache::archives "$folder/apt/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
END
export APT_CONFIG="$folder/apt/apt.conf"
apt-get -qq update
apt-get -qq install -y --download-only "$@" >/dev/null
cd "$folder/root"
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 dev etc tmp run proc
for name in bin sbin lib lib64; do ln -sfn usr/$name $name; done
chmod 1777 tmp
for package in "$folder"/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink
done
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 444 dev/urandom c 1 9
mknod -m 444 dev/random c 1 8
: >etc/mtab
printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >etc/passwd
printf 'root:x:0:\nmail:x:8:\nnogroup:x:65534:\n' >etc/group
printf '127.0.0.1 localhost\n' >etc/hosts
rm -r "$folder/apt"
