package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/crypto/ssh"
)

// connect logs in by the one method asked for.
func connect(o options) *ssh.Client {
	config := &ssh.ClientConfig{
		Config:            o.config(),
		User:              o.user,
		HostKeyCallback:   ssh.FixedHostKey(readPublicKey(o.knownHostKey)),
		HostKeyAlgorithms: split(o.hostKeyAlgorithms),
	}
	switch o.auth {
	case "none":
	case "password":
		config.Auth = []ssh.AuthMethod{ssh.Password(o.password)}
	case "publickey":
		config.Auth = []ssh.AuthMethod{ssh.PublicKeys(readSigner(o.key))}
	case "keyboard-interactive":
		config.Auth = []ssh.AuthMethod{ssh.KeyboardInteractive(
			func(name, instruction string, questions []string, echos []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for i := range answers {
					answers[i] = o.password
				}
				return answers, nil
			})}
	default:
		fail(fmt.Errorf("there is no method %s", o.auth))
	}
	client, err := ssh.Dial("tcp", net.JoinHostPort(o.host, strconv.Itoa(o.port)), config)
	check(err)
	return client
}

// status is that of the command, out of what waiting for it gave.
func status(err error) int {
	var exit *ssh.ExitError
	if errors.As(err, &exit) && exit.Signal() == "" {
		return exit.ExitStatus()
	}
	check(err)
	return 0
}

func runClient(o options) int {
	client := connect(o)
	defer client.Close()
	if o.channels > 1 {
		return runMany(client, o)
	}
	session, err := client.NewSession()
	check(err)
	session.Stdin, session.Stdout, session.Stderr = os.Stdin, os.Stdout, os.Stderr
	check(session.Start(o.command))
	return status(session.Wait())
}

// runMany has all channels open at once; the outputs follow each other, the status is the greatest.
func runMany(client *ssh.Client, o options) int {
	sessions := make([]*ssh.Session, o.channels)
	outputs := make([]bytes.Buffer, o.channels)
	for i := range sessions {
		session, err := client.NewSession()
		check(err)
		session.Stdout, session.Stderr = &outputs[i], os.Stderr
		check(session.Start(o.command))
		sessions[i] = session
	}
	worst := 0
	for i, session := range sessions {
		if code := status(session.Wait()); code > worst {
			worst = code
		}
		os.Stdout.Write(outputs[i].Bytes())
	}
	return worst
}
