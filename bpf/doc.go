// Package bpf is the tap: where nobody may touch the packet core's
// configuration, it watches the wire.
//
// A small program in the kernel (tap.c) sees every packet of the chosen
// interfaces, selects those of the control plane by port and message type, and
// copies them to a ring buffer; it never changes or holds back a packet. A
// [Tap] loads it, hooks it into interfaces as they come and go, and gives what
// the ring holds to an observer (package observe), which decodes it and makes
// events. The hooks are TCX (Linux 6.6) or, on older kernels, the filter of an
// AF_PACKET socket that runs the same program.
//
// Nobody repeats to an observer what it missed. So every selected packet is
// either delivered or counted as lost, and a loss, wherever on the way to the
// Registry it happens, is told to the Registry as [binding.NewsLost]: before
// the verdicts rest on what the tap knows, and once more when all that was on
// its way has arrived.
//
// Nothing here ends the daemon: without the right to load the program, or
// without an interface, the tap is off, says why, and what it knew is not
// trusted.
package bpf
