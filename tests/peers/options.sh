# The options that every peer's programs have, as variables: sourced with the program's own arguments.
# What a program cannot set, it does not look at; peers.md says what its peer lacks.
host=127.0.0.1 port=0 hostkey= user= password= authorized_key= auth= key= known_host_key=
kex= host_key_algorithms= ciphers= macs= compression= rekey_bytes= channels=1
while [ $# -gt 0 ]; do
  case $1 in
  --host) host=$2 ;;
  --port) port=$2 ;;
  --hostkey) hostkey=$2 ;;
  --user) user=$2 ;;
  --password) password=$2 ;;
  --authorized-key) authorized_key=$2 ;;
  --auth) auth=$2 ;;
  --key) key=$2 ;;
  --known-host-key) known_host_key=$2 ;;
  --kex) kex=$2 ;;
  --host-key-algorithms) host_key_algorithms=$2 ;;
  --ciphers) ciphers=$2 ;;
  --macs) macs=$2 ;;
  --compression) compression=$2 ;;
  --rekey-bytes) rekey_bytes=$2 ;;
  --channels) channels=$2 ;;
  --*)
    echo "$0: there is no option $1" >&2
    exit 2
    ;;
  *) break ;;
  esac
  shift 2
done
command=${1-}
