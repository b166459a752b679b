#!/bin/sh
# Unpacks the image files in the source package of libtiff, from Debian's registry, and in the package of scikit-image,
# from PyPI, as this machine has both set up: fetch_sources.sh FOLDER PYTHON
set -eu
folder=$1
python=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
mkdir -p "$folder/apt/lists/partial" "$folder/images"
folder=$(cd "$folder" && pwd)
for list in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
  if [ -f "$list" ]; then sed 's/^Types: deb$/Types: deb-src/; s/^deb /deb-src /' "$list" > "$folder/apt/$(basename "$list")"; fi
done
apt() {
  apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$folder/apt" \
    -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}
cd "$folder"
apt update
apt source --download-only tiff
tar -xf tiff_*.orig.tar.* -C images --wildcards --no-anchored '*/test/images/*'
"$python" -m pip download --quiet --no-deps --only-binary=:all: -d . scikit-image
"$python" -m zipfile -e scikit_image-*.whl wheel
cp -r wheel/skimage/data images/skimage
find images -type f | wc -l
