// Package journal is the Registry's durable memory: its state and the outbox of
// its changes, in one Pebble store, so that one synced write makes both true.
//
// # What an answer of Commit means
//
// Commit returned nil: the batch is on disk and survives a kill and a power
// loss. Commit returned an error: nothing of it is shown by ReadOutbox and
// Meta. The disk may still hold it, as a whole and never in part (the write may
// have arrived although its sync failed); a process that restarts at that
// moment finds it committed, which contradicts nobody. Within this process the
// batch is to be committed again, with further changes behind its own if there
// are any: rows overwrite themselves, and the outbox beyond the last
// acknowledged change is wiped in the same atomic write.
//
// # Disk full, read-only, broken
//
// Pebble cannot go on after a failed write to its log or manifest. With a
// Logger.Fatalf that returns, its Set returns nil for what never reached the
// disk; while a log is being rotated it ends the process. So it is never shown
// such an error: the breaker, a file system between Pebble and the disk, trips
// at the first one, and from then on lets nothing reach the disk, as if the
// power had failed at that instant. Commit sees the tripped breaker, the store
// is thrown away, and each following Commit first opens it again, which is
// Pebble's ordinary recovery from a crash. The journal's lock on its directory
// is held throughout. See breaker.go.
//
// # Layout
//
// Keys are a kind byte and the row's key (keys.go); every value starts with the
// version of its format (rows.go, group.go). What was written by a newer
// version is refused, not guessed.
package journal
