package httpapi

import (
	"net/http"
	"net/url"
)

func (s *server) listDevices(w http.ResponseWriter, r *http.Request) error {
	devices, err := s.Devices.Devices(r.Context())
	if err != nil {
		return err
	}
	if devices == nil {
		devices = []Device{}
	}
	return writeJSON(w, http.StatusOK, devices)
}

func (s *server) enrolDevice(w http.ResponseWriter, r *http.Request) error {
	var spec DeviceSpec
	if err := readJSON(w, r, &spec); err != nil {
		return err
	}
	e, err := s.Devices.Enrol(r.Context(), spec)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/devices/"+url.PathEscape(e.Device.Name))
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusCreated, e)
}

func (s *server) showDevice(w http.ResponseWriter, r *http.Request) error {
	d, err := s.Devices.Device(r.Context(), r.PathValue("device"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, d)
}

func (s *server) revokeDevice(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	v, err := s.Devices.Revoke(r.Context(), r.PathValue("device"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

func (s *server) reenrolDevice(w http.ResponseWriter, r *http.Request) error {
	var how Reenrolment
	if err := readJSON(w, r, &how); err != nil {
		return err
	}
	e, err := s.Devices.Reenrol(r.Context(), r.PathValue("device"), how)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusOK, e)
}
