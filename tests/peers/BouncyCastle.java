// Bouncy Castle's CMS for the tests: reads jobs from standard input, one a line, and answers
// "ok" or "no REASON" to each. A job is words separated by tabs; files are named by their paths.
//
//   sign    ALGORITHM FORM  KEY CERT IN OUT    FORM: attached, detached, keyid, streamed
//   verify  IN CERT CONTENT                    the content inside has to be CONTENT's
//   encrypt CIPHER WAY      CERT IN OUT        WAY: pkcs1, oaep:HASH:MGF, agree:KDF, keyid
//   decrypt KEY IN OUT
//   compress IN OUT

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.spec.MGF1ParameterSpec;
import java.util.Arrays;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;

public class BouncyCastle {
    static final String BC = "BC";

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = jobs.readLine()) != null; ) {
            String answer;
            try {
                job(line.split("\t"));
                answer = "ok";
            } catch (Throwable fault) {
                answer = "no " + fault.toString().replaceAll("\\s+", " ");
            }
            System.out.println(answer);
            System.out.flush();
        }
    }

    static void job(String[] words) throws Exception {
        switch (words[0]) {
            case "sign" -> write(words[6], sign(words[1], words[2], key(words[3]), cert(words[4]), read(words[5])));
            case "verify" -> verify(read(words[1]), cert(words[2]), read(words[3]));
            case "encrypt" -> write(words[5], encrypt(cipher(words[1]), words[2], cert(words[3]), read(words[4])));
            case "decrypt" -> write(words[3], decrypt(key(words[1]), read(words[2])));
            case "compress" -> write(words[2], compress(read(words[1])));
            default -> throw new IllegalArgumentException("no such job: " + words[0]);
        }
    }

    static byte[] sign(String algorithm, String form, PrivateKey key, X509Certificate cert, byte[] content)
            throws Exception {
        var signer = new JcaContentSignerBuilder(algorithm).setProvider(BC).build(key);
        var digests = new JcaDigestCalculatorProviderBuilder().setProvider(BC).build();
        var builder = new JcaSignerInfoGeneratorBuilder(digests);
        SignerInfoGenerator info = form.equals("keyid")
            ? builder.build(signer, keyId(cert))
            : builder.build(signer, cert);
        if (form.equals("streamed")) {
            var generator = new CMSSignedDataStreamGenerator();
            generator.setBufferSize(16);
            generator.addSignerInfoGenerator(info);
            generator.addCertificate(new X509CertificateHolder(cert.getEncoded()));
            var out = new ByteArrayOutputStream();
            try (OutputStream inside = generator.open(out, true)) {
                inside.write(content);
            }
            return out.toByteArray();
        }
        var generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(info);
        generator.addCertificate(new X509CertificateHolder(cert.getEncoded()));
        return generator.generate(new CMSProcessableByteArray(content), !form.equals("detached")).getEncoded();
    }

    static byte[] keyId(X509Certificate cert) {
        byte[] extension = cert.getExtensionValue("2.5.29.14");
        return Arrays.copyOfRange(extension, 4, extension.length);
    }

    static void verify(byte[] message, X509Certificate cert, byte[] content) throws Exception {
        var signed = new CMSSignedData(message);
        var out = new ByteArrayOutputStream();
        signed.getSignedContent().write(out);
        require(Arrays.equals(out.toByteArray(), content), "another content");
        var signers = signed.getSignerInfos().getSigners();
        require(signers.size() == 1, "one signer expected");
        var verifier = new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(cert);
        require(signers.iterator().next().verify(verifier), "the signature does not fit");
    }

    static byte[] encrypt(ASN1ObjectIdentifier cipher, String way, X509Certificate cert, byte[] content)
            throws Exception {
        RecipientInfoGenerator recipient = recipient(way, cert);
        var encryptor = new JceCMSContentEncryptorBuilder(cipher).setProvider(BC).build();
        if (encryptor instanceof OutputAEADEncryptor aead) {
            var generator = new CMSAuthEnvelopedDataGenerator();
            generator.addRecipientInfoGenerator(recipient);
            return generator.generate(new CMSProcessableByteArray(content), aead).getEncoded();
        }
        // Indefinite lengths, the ciphertext in pieces.
        var generator = new CMSEnvelopedDataStreamGenerator();
        generator.setBufferSize(16);
        generator.addRecipientInfoGenerator(recipient);
        var out = new ByteArrayOutputStream();
        try (OutputStream inside = generator.open(out, encryptor)) {
            inside.write(content);
        }
        return out.toByteArray();
    }

    static RecipientInfoGenerator recipient(String way, X509Certificate cert) throws Exception {
        String[] parts = way.split(":");
        switch (parts[0]) {
            case "pkcs1":
                return new JceKeyTransRecipientInfoGenerator(cert).setProvider(BC);
            case "keyid":
                return new JceKeyTransRecipientInfoGenerator(keyId(cert), cert.getPublicKey()).setProvider(BC);
            case "oaep":
                var parameters = new OAEPParameterSpec(
                    parts[1], "MGF1", new MGF1ParameterSpec(parts[2]), PSource.PSpecified.DEFAULT);
                AlgorithmIdentifier oaep = new JcaAlgorithmParametersConverter()
                    .getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, parameters);
                return new JceKeyTransRecipientInfoGenerator(cert, oaep).setProvider(BC);
            case "agree":
                var pair = ephemeral(cert);
                return new JceKeyAgreeRecipientInfoGenerator(
                    kdf(parts[1]), pair.getPrivate(), pair.getPublic(), CMSAlgorithm.AES256_WRAP)
                    .addRecipient(cert).setProvider(BC);
            default:
                throw new IllegalArgumentException(way);
        }
    }

    static KeyPair ephemeral(X509Certificate cert) throws Exception {
        var generator = KeyPairGenerator.getInstance("EC", BC);
        generator.initialize(((ECPublicKey) cert.getPublicKey()).getParams());
        return generator.generateKeyPair();
    }

    static ASN1ObjectIdentifier kdf(String name) {
        return switch (name) {
            case "sha1" -> CMSAlgorithm.ECDH_SHA1KDF;
            case "sha256" -> CMSAlgorithm.ECDH_SHA256KDF;
            case "sha384" -> CMSAlgorithm.ECDH_SHA384KDF;
            case "sha512" -> CMSAlgorithm.ECDH_SHA512KDF;
            case "cofactor-sha1" -> CMSAlgorithm.ECCDH_SHA1KDF;
            case "cofactor-sha256" -> CMSAlgorithm.ECCDH_SHA256KDF;
            case "cofactor-sha512" -> CMSAlgorithm.ECCDH_SHA512KDF;
            default -> throw new IllegalArgumentException(name);
        };
    }

    static byte[] decrypt(PrivateKey key, byte[] message) throws Exception {
        RecipientInformationStore recipients;
        try {
            recipients = new CMSEnvelopedData(message).getRecipientInfos();
        } catch (CMSException other) {
            recipients = new CMSAuthEnvelopedData(message).getRecipientInfos();
        }
        Exception last = new CMSException("no recipient");
        for (RecipientInformation recipient : recipients.getRecipients()) {
            Recipient opener;
            if (recipient instanceof KeyAgreeRecipientInformation) {
                opener = new JceKeyAgreeEnvelopedRecipient(key).setProvider(BC);
            } else {
                opener = new JceKeyTransEnvelopedRecipient(key).setProvider(BC);
            }
            try {
                return recipient.getContent(opener);
            } catch (Exception fault) {
                // Somebody else's, perhaps.
                last = fault;
            }
        }
        throw last;
    }

    static byte[] compress(byte[] content) throws Exception {
        return new CMSCompressedDataGenerator()
            .generate(new CMSProcessableByteArray(content), new ZlibCompressor())
            .getEncoded();
    }

    static ASN1ObjectIdentifier cipher(String name) {
        return switch (name) {
            case "aes128-cbc" -> CMSAlgorithm.AES128_CBC;
            case "aes192-cbc" -> CMSAlgorithm.AES192_CBC;
            case "aes256-cbc" -> CMSAlgorithm.AES256_CBC;
            case "3des-cbc" -> CMSAlgorithm.DES_EDE3_CBC;
            case "aes128-gcm" -> CMSAlgorithm.AES128_GCM;
            case "aes192-gcm" -> CMSAlgorithm.AES192_GCM;
            case "aes256-gcm" -> CMSAlgorithm.AES256_GCM;
            default -> throw new IllegalArgumentException(name);
        };
    }

    static PrivateKey key(String path) throws Exception {
        try (var parser = new PEMParser(new StringReader(Files.readString(Path.of(path))))) {
            return new JcaPEMKeyConverter().setProvider(BC).getPrivateKey((PrivateKeyInfo) parser.readObject());
        }
    }

    static X509Certificate cert(String path) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509", BC)
            .generateCertificate(new ByteArrayInputStream(read(path)));
    }

    static byte[] read(String path) throws Exception {
        return Files.readAllBytes(Path.of(path));
    }

    static void write(String path, byte[] bytes) throws Exception {
        Files.write(Path.of(path), bytes);
    }

    static void require(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }
}
