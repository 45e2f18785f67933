package groupcomm

// KeyTypeGroupOSCORE is the value of gkty for a Group_OSCORE_Input_Material object, in the registry ACE Groupcomm Key Types
// (ace-key-groupcomm-oscore, Section 17.4). The value 0 is reserved.
const KeyTypeGroupOSCORE = 1
