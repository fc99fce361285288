// Package cache keeps answers of slow functions near: numbers that a directory
// told, bindings that another site told.
//
// What makes it safe is not the cache (Ristretto, which is lossy by design and
// applies Set and Del in its own time) but a generation for each stripe of keys:
// an answer carries the generation of before it was asked for, and counts only
// as long as that is the present one. Invalidating is one atomic increment, so an
// answer from before it is never served after it, whatever Ristretto does.
package cache
