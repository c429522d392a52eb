// A client and a server on golang.org/x/crypto/ssh: `peer client ...`, `peer server ...`.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

type options struct {
	host, user, password, auth, key, knownHostKey, hostkey, authorizedKey string
	kex, hostKeyAlgorithms, ciphers, macs, compression, command           string
	port, channels                                                        int
	rekeyBytes                                                            uint64
}

func parseOptions() options {
	var o options
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	flags.StringVar(&o.host, "host", "127.0.0.1", "")
	flags.IntVar(&o.port, "port", 0, "")
	flags.StringVar(&o.user, "user", "", "")
	flags.StringVar(&o.password, "password", "", "")
	flags.StringVar(&o.auth, "auth", "publickey", "")
	flags.StringVar(&o.key, "key", "", "")
	flags.StringVar(&o.knownHostKey, "known-host-key", "", "")
	flags.StringVar(&o.hostkey, "hostkey", "", "")
	flags.StringVar(&o.authorizedKey, "authorized-key", "", "")
	flags.StringVar(&o.kex, "kex", "", "")
	flags.StringVar(&o.hostKeyAlgorithms, "host-key-algorithms", "", "")
	flags.StringVar(&o.ciphers, "ciphers", "", "")
	flags.StringVar(&o.macs, "macs", "", "")
	flags.StringVar(&o.compression, "compression", "", "")
	flags.Uint64Var(&o.rekeyBytes, "rekey-bytes", 0, "")
	flags.IntVar(&o.channels, "channels", 1, "")
	flags.Parse(os.Args[2:])
	o.command = flags.Arg(0)
	return o
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// config is what clients and servers have in common. There is no compression to choose.
func (o options) config() ssh.Config {
	if o.compression != "" && !strings.Contains(","+o.compression+",", ",none,") {
		fail(fmt.Errorf("there is no compression %s", o.compression))
	}
	return ssh.Config{
		KeyExchanges:   split(o.kex),
		Ciphers:        split(o.ciphers),
		MACs:           split(o.macs),
		RekeyThreshold: o.rekeyBytes,
	}
}

func readSigner(path string) ssh.Signer {
	pem, err := os.ReadFile(path)
	check(err)
	signer, err := ssh.ParsePrivateKey(pem)
	check(err)
	return signer
}

func readPublicKey(path string) ssh.PublicKey {
	line, err := os.ReadFile(path)
	check(err)
	key, _, _, _, err := ssh.ParseAuthorizedKey(line)
	check(err)
	return key
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(255)
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: peer client|server ..."))
	}
	o := parseOptions()
	switch os.Args[1] {
	case "client":
		os.Exit(runClient(o))
	case "server":
		runServer(o)
	default:
		fail(fmt.Errorf("there is no role %s", os.Args[1]))
	}
}
