// Package origin tells whose connection a request came over: the address and
// port by which the packet core knows the device. A proxy in front is believed
// only if it is listed; what anybody else says about addresses is ignored.
package origin
