package ace

// Profile is a value of the registry ACE Profiles (RFC 9200, Section 8.8).
type Profile int64

// Registered profiles. Only the OSCORE profile is implemented.
const (
	ProfileCoAPDTLS   Profile = 1 // RFC 9202
	ProfileCoAPOSCORE Profile = 2 // RFC 9203
	ProfileMQTTTLS    Profile = 3 // RFC 9431
)
