package httpapi

import "net/http"

// health answers 200 when everything works and 503 otherwise, with the same body.
func (s *server) health(w http.ResponseWriter, r *http.Request) error {
	h := s.Config.Health(r.Context())
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	return writeJSON(w, status, h)
}
