package eve

// Types of anomalies.
const (
	AnomalyDecode   = "decode"
	AnomalyStream   = "stream"
	AnomalyAppLayer = "applayer"
)

// Layers that an application protocol's anomaly was found in.
const (
	LayerDetection = "proto_detect"
	LayerParser    = "proto_parser"
)

// Anomaly is something about a packet, or in an application protocol, that should not be.
type Anomaly struct {
	Tuple
	Type     string // AnomalyDecode, ...
	Event    string
	AppProto string // these three of AnomalyAppLayer only
	Layer    string
	TxID     int64 // transaction, -1: none

	Frame *Frame // of which a record has the headers; nil: it has not
}

// anomalyFrame is how many bytes of a packet an anomaly has.
const anomalyFrame = 32

// AppendAnomaly appends a as an EVE anomaly event.
func AppendAnomaly(dst []byte, a *Anomaly) []byte {
	o := appendHeader(dst, &a.Tuple, "anomaly")
	if a.Type == AnomalyAppLayer && a.TxID >= 0 {
		o.uint("tx_id", uint64(a.TxID))
	}
	o.open("anomaly")
	o.optStr("app_proto", a.AppProto)
	o.str("type", a.Type)
	o.str("event", a.Event)
	o.optStr("layer", a.Layer)
	o.close()
	o.frame(a.Frame, anomalyFrame)
	return o.end()
}
