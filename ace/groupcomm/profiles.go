package groupcomm

// ProfileGroupOSCORE is coap_group_oscore_app in the registry ACE Groupcomm Profiles (ace-key-groupcomm-oscore,
// Section 17.5). The value 0 is reserved.
const ProfileGroupOSCORE = 1
