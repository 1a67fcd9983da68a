#!/usr/bin/env bash
# Bring what tests need from the system's packages: Chromium, a Chinese font and RabbitMQ. Only root on a Debian-like
# system can; elsewhere, and without a network, the tests that need them say at the end what was missing.
set -euo pipefail
wanted=()
command -v chromium > /dev/null 2>&1 || command -v chromium-browser > /dev/null 2>&1 || wanted+=(chromium)
# Without fontconfig there is no fc-list and no Chinese font either; Chromium's package brings it.
{ command -v fc-list > /dev/null 2>&1 && [ -n "$(fc-list :lang=zh-cn file)" ]; } || wanted+=(fonts-wqy-microhei)
command -v rabbitmq-server > /dev/null 2>&1 || wanted+=(rabbitmq-server)
[ ${#wanted[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null 2>&1; then
  echo "Not installed: ${wanted[*]}. The tests that need it will say so; install it with your system's packages."
  exit 0
fi
echo "installing ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
# Tests start a broker of their own. The package would start a service, now and at every boot: say no to both.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}" > /dev/null; } \
  || echo "The system's packages could not be installed: ${wanted[*]}. The tests that need them will say so."
if [[ " ${wanted[*]} " == *" rabbitmq-server "* ]] && command -v update-rc.d > /dev/null 2>&1; then
  update-rc.d rabbitmq-server disable > /dev/null 2>&1 || echo "RabbitMQ's own service may start at the next boot."
fi
