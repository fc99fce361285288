package worldtest

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// nobody answers nothing, at no cost.
type nobody struct{}

func (nobody) Hear(binding.Event)                                      {}
func (nobody) Advance(time.Time)                                       {}
func (nobody) Kill(time.Duration)                                      {}
func (nobody) Release(binding.Query)                                   {}
func (nobody) Verify(binding.Query, binding.Number) (a binding.Answer) { return a }

// BenchmarkQuestions tells what the world itself costs.
func BenchmarkQuestions(b *testing.B) {
	for _, p := range Profiles() {
		b.Run(p.Name, func(b *testing.B) {
			questions := 0
			for i := range b.N {
				r := Run(p, uint64(i), 20_000, func(Setup) Subject { return nobody{} })
				questions += r.Questions
			}
			b.ReportMetric(float64(questions)/b.Elapsed().Seconds(), "questions/s")
		})
	}
}
