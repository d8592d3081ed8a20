#!/bin/bash
# Runs a test script in a fresh folder: run-in-folder.sh FOLDER SCRIPT
set -euo pipefail
folder=$1 script=$2
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
exec bash "$script"
