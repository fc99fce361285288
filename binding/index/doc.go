// Package index is fixed-capacity memory that one goroutine writes and any
// number of goroutines read without locks, allocations or waiting. It knows
// words, not what they mean.
//
// A [Memory] is cut by a [Carver] into a [Table] (prefixes to values), [Slab]s
// (records by number) and [Hash]es (record numbers by a 64-bit hash). All that
// is shared are words without pointers, given by the caller: a mapping outside
// the Go heap in the product, plain slices in tests, where the race detector
// sees them. Shared words are changed by sync/atomic alone, which is
// sequentially consistent, so that "before" and "after" below mean one order
// for all goroutines. The writer reads its own words plainly.
//
// # Why a reader of a Table may believe what it sees
//
// A record is filled while no slot names it, gets a generation that it never
// had before, is named by one store of a slot, and loses its generation
// (becomes zero) only after no slot names it. Names and tags stand in lines of
// the directory; a key has a lane in its home line or, if lines are full, in
// one of the next.
//
//   - One store decides. A lane's tag is set before its slot and cleared after,
//     and so is the count in the lines that the key has passed. A key
//     appears, changes or disappears with the store of its slot alone, and a
//     writer stopped between any two stores hides nothing
//     (TestStoppedWriterHidesNothing).
//   - A hit was true at one moment. The reader loads slot, generation, words,
//     slot and generation. If both pairs are equal, the generation stood
//     throughout, and at the second look at the slot it was named there
//     (TestReadsAreOfOneMoment, TestRecordsThatComeBack).
//   - A miss was true at one moment. While a key is there, its lane stays, its
//     tag is set and the lines before count it: a reader that looked into
//     every lane with its tag, up to the first line that nobody passed, must
//     have met it (the same tests).
//   - The longest match was the longest at one moment. The version changes
//     after each insertion. If it was the same before and after, at most the
//     last change in between was an insertion; so longer prefixes that were
//     missed were still absent when the answer was found, or at the moment
//     before that insertion. The length of a key is known before the key
//     appears (TestLongestIsOfOneMoment).
//   - A valid [Ref] means that the value still stands. The writer ends a
//     record before Put or Delete return, hence before the caller can recycle
//     what the value points to (TestRecycledRecordsAreNotTrusted,
//     TestOldRefsAreNeverValidAgain).
//   - Readers do not wait. They look again only if the writer has changed a
//     slot, or inserted, since they looked first.
//
// The design drafted one word a slot (tag, generation, record number). Four
// bytes a slot and the tags side by side do the same with less memory, without
// moving keys on deletion, and let the processor judge a line of twelve keys
// without a branch that waits for memory.
//
// A [Hash] has no records to verify: the caller's function does that. Its ids
// do move when one before them is removed: an id is copied to its new slot
// first, then the version changes, then the old slot is overwritten. A reader
// that saw neither copy has seen the version change
// (TestStoppedHashWriterHidesNothing, TestHashReadersNeverMissWhatIsThere).
package index
