package detect

import (
	"slices"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// Countries is a database of what country addresses are in. Any number of goroutines ask it.
type Countries interface {
	// Country returns an ISO 3166 code of two capitals; ok is false where it is not known.
	Country(a packet.Addr) (code [2]byte, ok bool)
}

// newGeoIP compiles geoip. An address whose country is not known is in none of the countries
// and, as in Suricata, in none of the others either. So are, for Suricata 7, those of IPv6.
func newGeoIP(g *rule.GeoIP, db Countries) (check, error) {
	if db == nil {
		return nil, unsupported("geoip needs a database of countries; name one with --geoip-database or the key geoip_database")
	}
	codes := make([][2]byte, len(g.Countries))
	for i, c := range g.Countries {
		codes[i] = [2]byte{c[0], c[1]}
	}
	match := sideCheck(g.Side, func(a packet.Addr) bool {
		code, ok := db.Country(a)
		return ok && slices.Contains(codes, code) != g.Negated
	})
	return func(in *Input) bool { return in.Packet.IPVersion == 4 && match(in) }, nil
}

// sideCheck asks something of the addresses that a keyword means.
func sideCheck(side rule.Side, holds func(packet.Addr) bool) check {
	return func(in *Input) bool {
		p := in.Packet
		switch side {
		case rule.SideSrc:
			return holds(p.Src)
		case rule.SideDst:
			return holds(p.Dst)
		case rule.SideBoth:
			return holds(p.Src) && holds(p.Dst)
		}
		return holds(p.Src) || holds(p.Dst)
	}
}
