package config

import (
	"reflect"
	"slices"
)

// reloaded are the keys that a reload applies to the running daemon.
var reloaded = []string{"domains", "radius.clients", "diameter.peers", "query.roles", "log.level"}

// Changed names the keys that differ in next and take effect only at the next
// start.
func (c Config) Changed(next Config) []string {
	var keys []string
	diff("", reflect.ValueOf(c.written), reflect.ValueOf(next.written), &keys)
	return keys
}

// diff adds the keys of which the values differ, as deep as both have them.
func diff(path string, a, b reflect.Value, keys *[]string) {
	if slices.Contains(reloaded, path) || slices.Contains(formerKeys, path) || reflect.DeepEqual(a.Interface(), b.Interface()) {
		return
	}
	if a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil() {
		a, b = a.Elem(), b.Elem()
	}
	if a.Kind() != reflect.Struct {
		*keys = append(*keys, path)
		return
	}
	for i := range a.NumField() {
		key := a.Type().Field(i).Tag.Get("yaml")
		if path != "" {
			key = path + "." + key
		}
		diff(key, a.Field(i), b.Field(i), keys)
	}
}
