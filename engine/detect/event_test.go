package detect

import "testing"

// TestEventNames: events have the names of Suricata's keywords, and of its own rules where those differ.
func TestEventNames(t *testing.T) {
	for options, known := range map[string]bool{
		"decode-event:ipv4.trunc_pkt;":                           true,
		"engine-event:decoder.ipv4.trunc_pkt;":                   true,
		"engine-event:stream.rst_invalid_ack;":                   true,
		"stream-event:3whs_synack_resend_with_diff_ack;":         true,
		"stream-event:3whs_synack_resend_with_different_ack;":    true,
		"stream-event:est_synack_resend_with_different_ack;":     true,
		"stream-event:ipv4.trunc_pkt;":                           false,
		"decode-event:rst_invalid_ack;":                          false,
		"engine-event:rst_invalid_ack;":                          false,
		"stream-event:3whs_synack_resend_with_a_different_sack;": false,
	} {
		_, err := Compile(sources(t, "alert tcp any any -> any any ("+options+" sid:1;)"), Options{})
		if (err == nil) != known {
			t.Errorf("%s: %v", options, err)
		}
	}
}
