#!/usr/bin/env bash
# Bring what tests need from the system's packages: Chromium and a Chinese font. Only root on a Debian-like system can;
# elsewhere, and without a network, the tests that need them say at the end what was missing.
set -euo pipefail
wanted=()
command -v chromium > /dev/null 2>&1 || command -v chromium-browser > /dev/null 2>&1 || wanted+=(chromium)
# Without fontconfig there is no fc-list and no Chinese font either; Chromium's package brings it.
{ command -v fc-list > /dev/null 2>&1 && [ -n "$(fc-list :lang=zh-cn file)" ]; } || wanted+=(fonts-wqy-microhei)
[ ${#wanted[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null 2>&1; then
  echo "Not installed: ${wanted[*]}. The tests that need it will say so; install it with your system's packages."
  exit 0
fi
echo "installing ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}" > /dev/null; } \
  || echo "The system's packages could not be installed: ${wanted[*]}. The tests that need them will say so."
