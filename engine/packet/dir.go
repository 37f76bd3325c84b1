package packet

// Dir is the direction of a packet within its flow. The server is the side
// that did not send the flow's first packet.
type Dir uint8

const (
	ToServer Dir = 0 // sent by the client
	ToClient Dir = 1 // sent by the server
)

// Reverse returns the opposite direction.
func (d Dir) Reverse() Dir { return d ^ 1 }

// String returns Suricata's spelling: "to_server" or "to_client".
func (d Dir) String() string {
	if d == ToServer {
		return "to_server"
	}
	return "to_client"
}
