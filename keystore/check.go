package keystore

import "errors"

// Check opens every record of the store and follows the audit chain, in one consistent state, while the store works on.
// It calls bad for each record that does not open, and returns how many records it has read; the error is of the backend
// or of the audit chain.
func (s *Store) Check(bad func(n Name, err error)) (records uint64, err error) {
	err = s.viewRaw(func(r BackendReader) error {
		return r.Scan("", "", func(n Name, v []byte) error {
			records++
			var err error
			switch n {
			case headerName:
				_, err = parseHeader(v)
			case wrappedName: // only its wrapper can open it
			default:
				_, _, err = s.env().open(n, v)
			}
			if err != nil {
				bad(n, err)
			}
			return nil
		})
	})
	if err != nil {
		return records, err
	}
	if _, _, err := s.AuditVerify(); err != nil && !errors.Is(err, ErrCorrupt) {
		return records, err
	}
	return records, nil
}
