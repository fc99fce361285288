package bpf

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestItLoadsWithTheTwoCapabilitiesThatItNeeds, as another user than root: to
// those without CAP_PERFMON the verifier is stricter.
func TestItLoadsWithTheTwoCapabilitiesThatItNeeds(t *testing.T) {
	const inside = "SIMBIND_TEST_CAPABILITIES"
	if os.Getenv(inside) != "" {
		k, err := loadKernel(Config{}.withDefaults())
		if err != nil {
			var v *ebpf.VerifierError
			if errors.As(err, &v) {
				t.Fatalf("%+v", v)
			}
			t.Fatal(err)
		}
		k.close()
		return
	}
	needsKernel(t, Config{})
	if os.Getuid() != 0 {
		t.Skip("needs root, to give the rest of it up")
	}
	// The path of the test program may be closed to the other user.
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN, unix.CAP_BPF},
	}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Fatalf("%v\n%s", err, out)
	}
}
