package keystore

import "encoding/binary"

// Index turns a text into a number for a record name, without revealing it: the first 8 bytes of an HMAC under a key
// that only the index uses. The same domain and text always give the same number in one store. Two texts may meet in one
// number, so the record must hold the text and the reader compare it.
func (s *Store) Index(domain string, text []byte) uint64 {
	return binary.BigEndian.Uint64(mac(s.keys.index, []byte(domain), text))
}
