package main

import (
	"fmt"
	"net/netip"
)

// testAddr is the address of subscriber n, testNumber the number.
func testAddr(n int) netip.Addr {
	n++ // no .0
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func testNumber(n int) string { return fmt.Sprintf("+4477%08d", n) }
