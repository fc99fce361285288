package udm_test

import (
	"testing"

	"github.com/simbind/simbind/directory/udm"
	"github.com/simbind/simbind/directory/udm/udmtest"
)

// Numbers asked of a UDM in cleartext, many at a time.
func BenchmarkResolve(b *testing.B) {
	server := serve(b, udmtest.Options{})
	server.Set(imsi, number)
	client := start(b, udm.Config{URL: server.URL()})
	who, want := parse(b, number)
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if got, err := client.Resolve(b.Context(), who); err != nil || got != want {
				b.Errorf("%v, %v", got, err)
				return
			}
		}
	})
}
