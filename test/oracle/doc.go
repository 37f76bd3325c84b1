// Package oracle compares the engine with an installed Suricata 7: random rules
// from the keywords that both know, run over random connections, must alert on
// the same flows and drop the same packets. Nothing of it is in the program.
//
// Rules in which Suricata 7.0.10 departs from its own manual are not made: flags
// with ! or * and one of SYN, FIN and RST (it then skips packets with none of
// them), a payload whose only content is negated and has a place (the place
// is ignored), and a header buffer such as ipv4.hdr with flow:to_server or
// flow:to_client alone (the direction is ignored).
//
// Streams are compared on conversations that are damaged in every way: events, drops, content and
// flow records. The event of a hole is left out: Suricata repeats it while it guesses the protocol.
//
// Not compared is how often a rule about a stream matches, which threshold and xbits
// count. They are compared on packets.
package oracle
