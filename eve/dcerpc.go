package eve

import (
	"strconv"

	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/packet"
)

// dcerpc writes what a call asked and what answered it.
func (o *object) dcerpc(c *dcerpc.Call) {
	if c.Asked {
		o.str("request", dcerpc.KindName(c.Request))
		switch c.Request {
		case dcerpc.Request:
			o.open("req")
			o.uint("opnum", uint64(c.Opnum))
			o.uint("frag_cnt", uint64(c.Fragments[packet.ToServer]))
			o.uint("stub_data_size", uint64(c.StubSize[packet.ToServer]))
			o.close()
		case dcerpc.Bind, dcerpc.Alter:
			o.dcerpcInterfaces(c)
		}
	} else {
		o.str("request", "REQUEST_LOST")
	}
	if !c.Answered {
		o.str("response", "UNREPLIED")
		return
	}
	o.str("response", dcerpc.KindName(c.Response))
	if c.Response == dcerpc.Response {
		o.open("res")
		o.uint("frag_cnt", uint64(c.Fragments[packet.ToClient]))
		o.uint("stub_data_size", uint64(c.StubSize[packet.ToClient]))
		o.close()
	}
}

func (o *object) dcerpcInterfaces(c *dcerpc.Call) {
	o.array("interfaces")
	for i := range c.Interfaces {
		f := &c.Interfaces[i]
		o.element()
		o.openElement()
		o.dcerpcInterface(f)
		if f.Answered {
			o.uint("ack_result", uint64(f.Result))
		}
		o.close()
	}
	o.closeArray()
}

func (o *object) dcerpcInterface(f *dcerpc.Interface) {
	o.str("uuid", f.String())
	o.key("version")
	o.b = strconv.AppendUint(append(o.b, '"'), uint64(f.Version), 10)
	o.b = append(strconv.AppendUint(append(o.b, '.'), uint64(f.Minor), 10), '"')
}
