// Package geoip says what country an address is in, by a MaxMind database.
package geoip

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/sluicefw/sluice/engine/packet"
)

// DB is a database of countries: GeoLite2 Country, GeoIP2 City, or another that has
// country.iso_code in its records. It never changes, and any number of goroutines may ask it.
type DB struct {
	reader *maxminddb.Reader
	codes  map[uintptr][2]byte // by the place of a record, which networks share
}

// Open reads the whole database once, so that look-ups decode and allocate nothing and what is
// broken is found here. It is kept in memory and not mapped: a file that is cut off later, while it
// is replaced, must not end the process.
func Open(file string) (*DB, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("open the database of countries: %w", err)
	}
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("open the database of countries %s: %w", file, err)
	}
	db := &DB{reader, map[uintptr][2]byte{}}
	if err := db.read(); err != nil {
		return nil, fmt.Errorf("read the database of countries %s: %w", file, err)
	}
	return db, nil
}

// read finds the countries of all records.
func (db *DB) read() error {
	known := false
	seen := map[uintptr]bool{}
	for result := range db.reader.Networks() {
		if err := result.Err(); err != nil {
			return err
		}
		if seen[result.Offset()] {
			continue
		}
		seen[result.Offset()] = true
		var code string
		if err := result.DecodePath(&code, "country", "iso_code"); err != nil {
			return fmt.Errorf("the record of %s: %w", result.Prefix(), err)
		}
		if len(code) == 2 {
			db.codes[result.Offset()] = [2]byte{code[0], code[1]}
			known = true
		}
	}
	if !known {
		return errors.New("no record has country.iso_code; use a database such as GeoLite2-Country.mmdb")
	}
	return nil
}

// Country returns the ISO 3166 code of the country that an address is in; ok is false where the
// database does not know.
func (db *DB) Country(a packet.Addr) (code [2]byte, ok bool) {
	result := db.reader.Lookup(netip.AddrFrom16(a).Unmap())
	if !result.Found() {
		return code, false
	}
	code, ok = db.codes[result.Offset()]
	return code, ok
}
