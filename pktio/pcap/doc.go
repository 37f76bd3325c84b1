// Package pcap reads captures (classic pcap and pcapng), writes classic ones, and
// offers a capture as a driver, so that the engine can be run on recorded traffic.
//
// A reader here is meant for files that come from anywhere: it never holds more
// than its buffer, reads a damaged file up to the damage, and says where that is.
package pcap
