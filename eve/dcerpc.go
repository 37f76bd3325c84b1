package eve

import (
	"strconv"

	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/packet"
)

// dcerpc writes what a call asked and what answered it.
func (o *object) dcerpc(tx *dcerpc.Tx) {
	o.open("dcerpc")
	o.call(tx)
	if tx.UDP {
		o.uuid("activityuuid", &tx.Activity)
		o.uint("seqnum", uint64(tx.Sequence))
		o.str("rpc_version", "4.0")
	} else {
		o.uint("call_id", uint64(tx.CallID))
		o.key("rpc_version")
		o.b = append(strconv.AppendUint(append(o.b, `"5.`...), uint64(tx.Minor), 10), '"')
	}
	o.close()
}

func (o *object) call(tx *dcerpc.Tx) {
	if tx.Asked {
		o.str("request", dcerpc.TypeName(tx.Request))
		switch tx.Request {
		case dcerpc.Request:
			o.open("req")
			o.uint("opnum", uint64(tx.Opnum))
			o.stub(1, tx.StubSize[packet.ToServer]) // as in Suricata, however many there are
			o.close()
		case dcerpc.Bind:
			o.interfaces(tx.Interfaces(), func(i *dcerpc.Interface) {
				o.uint("ack_result", uint64(i.Result))
			})
		}
	} else {
		o.str("request", "REQUEST_LOST")
	}
	if !tx.Answered {
		o.str("response", "UNREPLIED")
		return
	}
	o.str("response", dcerpc.TypeName(tx.Response))
	if tx.Response == dcerpc.Response {
		o.open("res")
		o.stub(1, tx.StubSize[packet.ToClient])
		o.close()
	}
}

// stub tells of stub data: in how many fragments it came, and its size.
func (o *object) stub(fragments, size int) {
	o.uint("frag_cnt", uint64(fragments))
	o.uint("stub_data_size", uint64(size))
}

// interfaces writes interfaces with their versions, and what more says of each.
func (o *object) interfaces(all []dcerpc.Interface, more func(*dcerpc.Interface)) {
	o.array("interfaces")
	for i := range all {
		f := &all[i]
		o.element()
		o.openElement()
		o.uuid("uuid", &f.UUID)
		o.key("version")
		o.b = strconv.AppendUint(append(o.b, '"'), uint64(f.Major), 10)
		o.b = append(strconv.AppendUint(append(o.b, '.'), uint64(f.Minor), 10), '"')
		more(f)
		o.close()
	}
	o.closeArray()
}

func (o *object) uuid(k string, u *dcerpc.UUID) {
	o.key(k)
	o.b = append(u.AppendTo(append(o.b, '"')), '"')
}
