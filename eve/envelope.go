package eve

import "strconv"

// Envelope is what AWS Network Firewall adds to its firewall's events.
type Envelope struct {
	FirewallName     string
	AvailabilityZone string
}

// AppendEnvelope appends event, an object made by an Append function of this
// package, inside e. time is the event's, in nanoseconds since 1970; AWS writes
// it in seconds as a string. resourceARN, if any, names the resource that the
// matching rule came from. "aws_category" is empty: Sluice has no categories of
// domains, yet readers of AWS's records expect the member.
func AppendEnvelope(dst []byte, e *Envelope, time int64, resourceARN string, event []byte) []byte {
	o := start(dst)
	o.str("firewall_name", e.FirewallName)
	o.str("availability_zone", e.AvailabilityZone)
	o.key("event_timestamp")
	o.b = append(o.b, '"')
	o.b = strconv.AppendInt(o.b, time/1e9, 10)
	o.b = append(o.b, '"')
	o.key("event")
	o.b = append(o.b, event[:len(event)-1]...)
	o.str("aws_category", "")
	o.close()
	if resourceARN != "" {
		o.open("aws_metadata")
		o.str("resource_arn", resourceARN)
		o.close()
	}
	return o.end()
}
