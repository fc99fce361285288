package feed

import "fmt"

// atLeast reports whether a server's version is not below want ("2.12"). A
// version that cannot be read passes: the stream will tell.
func atLeast(version, want string) bool {
	var major, minor, wantMajor, wantMinor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return true
	}
	if _, err := fmt.Sscanf(want, "%d.%d", &wantMajor, &wantMinor); err != nil {
		return true
	}
	return major > wantMajor || major == wantMajor && minor >= wantMinor
}
