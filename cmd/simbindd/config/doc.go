// Package config reads simbindd's configuration file.
//
// It has two layers. raw.go is the file as it is written: one struct field per
// key, nothing converted, so that an unknown key is an error. The other files
// turn it into the configurations of the parts (Config), and complain about
// everything that is wrong at once, each with file and line. A value that cannot
// mean what it says is refused, never replaced by a default.
//
// A section that is absent is a listener that is off. Secrets are read from
// their files here, so that a reload sees new ones; what is wrong with their
// permissions is a warning.
//
// docs/configuration.md and deploy/simbindd.yaml describe every key; a test
// holds them against raw.go.
package config
