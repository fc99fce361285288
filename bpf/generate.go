package bpf

// The object is made by the clang of Debian 12; .ci/run makes it again and
// compares. Who only builds needs no clang.
//go:generate go tool bpf2go -go-package bpf -tags linux -target bpfel -cc clang-14 -strip llvm-strip-14 -type record -type outcome tap tap.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
