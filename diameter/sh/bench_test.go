package sh_test

import (
	"testing"

	"github.com/simbind/simbind/diameter/sh/shtest"
)

// Numbers asked of an HSS that go-diameter reads and writes for, on one
// connection, many at a time.
func BenchmarkResolve(b *testing.B) {
	hss := startHSS(b, shtest.Options{})
	hss.Set(theIMSI.String(), number)
	client := start(b, testConfig(serverOf(hss, "hss.test", 0)))
	want := mustMSISDN(number)
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if got, err := client.Resolve(b.Context(), theIMSI); err != nil || got != want {
				b.Errorf("%v, %v", got, err)
				return
			}
		}
	})
}
