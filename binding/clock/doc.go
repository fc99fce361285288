// Package clock tells when something happened, as far as that can be known.
//
// Of the moment at which it happened a message tells two bounds: lo (not
// before) and hi (not after). Each is told by our clock, and perhaps by the
// clock of the node that spoke. Two moments are in order only if [Before] says
// so: if every moment that the one allows lies before every moment that the
// other allows, by one of the two clocks. All else is unknown, and who asks must
// doubt. A [Clock] is what is known of one node's clock; [Clock.Hear] makes a
// message's bounds and learns from it.
//
// # The model
//
// A node's clock shows our time less an offset. How far a word's arrival lies
// above its stamp is that offset, or more by how late the word is. So the least
// is the offset, known to the tolerance: 1 s as stamps are whole seconds, and
// 100 ms for what is on time. An epoch is a time in which the clock was not set.
// Stamps count once enough words in a row, eight, fitted one epoch: one of them
// was on time (A4). What a word shows may be
//
//   - less than the least by more than the tolerance: the clock was set ahead,
//     a new epoch begins;
//   - more by over MaxDelay: it was set back, a new epoch begins;
//   - in between: the word is late, or the clock was set back by less than
//     MaxDelay. So its arrival stays its hi, and lo takes it for late, the
//     earlier reading. After MaxDelay and eight words none of which came near
//     the least, it was set back: a new epoch begins at the least of the eight;
//   - explained by a former epoch as well: the earliest reading counts, and
//     there is no node time;
//   - explained by a former epoch only: a word of before a step, or one wrong
//     stamp had begun the present epoch. It says nothing, and a lower former
//     epoch makes the present one settle anew. After eight in a row the former
//     is the present one again;
//   - less, by more than the tolerance, than what all eight words before showed:
//     the clock was set ahead, perhaps from where it had been set back to
//     unseen. The present epoch settles anew.
//
// A former epoch matters until MaxDelay, and eight words more, after another
// has settled. Between words on time a clock may drift (A3), and the bounds
// allow for it. At first contact node time counts from the first word on, among
// the node's own words: the one place where we guess. Ordered transport needs
// no clock: its node time is the order of arrival.
//
// # What is assumed
//
//   - A1. Our clock does not go back.
//   - A2. Nothing is heard later than MaxDelay after it happened; of a node that
//     tells no time than Blind; by an ordered link than Flight, unless it is
//     repeated. What a node that tells delays but never stamps sends is heard
//     within the tolerance.
//   - A3. A clock that is not set keeps its rate to 1.1 s in five minutes.
//   - A4. Of eight words in a row one is on its way for less than 100 ms, and so
//     is one of the first eight of each setting of the clock, or of all if there
//     are fewer. Words with a delay do not count, and a wrong stamp is a setting
//     of its own. Before the first word on time of a setting none comes that is
//     late by more than the tolerance and looks as if the clock had not been set
//     ahead: on time, less the tolerance, or late by a setting that lies behind
//     and that one of the eight words before was of.
//   - A5. A delay is true to a second, either way; zero is said at the first
//     sending only.
//   - A7. At first contact the clock was not set back for MaxDelay, nor is it
//     until it has settled.
//
// Then lo and hi hold the truth by either clock, and Before is never true of two
// moments in the other order: TestLoNeverExceedsTheTruthForAnyOffsetHistory.
//
// # Where this departs from the draft
//
// The draft had the table without its last row. A clock that was set back unseen
// and then ahead, within MaxDelay or a few words, hid the second step in the
// first, and what came next was placed too late. Further:
//
//   - A late word of before an unseen step back is no offset: the new epoch
//     begins at the least of the last eight words, not of the whole window.
//   - A former epoch matters from when the next one settled, not from when it was
//     left, for one wrong stamp may have begun the next one; and one that
//     explains a word again matters until another settles.
//   - A delay is told in whole seconds: hi lies a second later, and lo a second
//     earlier, than arrival and stamp less a delay that is not zero.
//   - A lo with a delay has no node time. A stamp made at a second sending, after
//     the clock was set ahead, would place the event after itself.
//   - The bounds allow for 3.7 ms of drift a second since the eighth last word.
//   - A word without a stamp, of a node that stamps, may be as late as any.
//   - How far a former clock drifted while we were away nobody knows: if it may
//     still matter after a crash, no stamp counts until it cannot.
//   - A clock that is set before it ever settled has no node time until it has;
//     the draft took arrivals for the order.
//
// A4 is what the draft meant by "before one that is late by S or more", made
// exact. A step ahead by S hides what is late by S less the resolution of the
// stamps, and S counts from wherever the clock has just been.
package clock
