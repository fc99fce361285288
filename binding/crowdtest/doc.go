// Package crowdtest is what the simulated packet cores of all protocols share: a
// [Plan] says how many subscribers attach at what rate, how often each is
// refreshed and when it leaves, who they are and which addresses they get;
// [Plan.Drive] calls for each [Step] when it is due, and a [Tally] counts what
// became of the requests.
package crowdtest
