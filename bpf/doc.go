// Package bpf is the tap.
package bpf
